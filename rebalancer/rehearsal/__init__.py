"""Fault campaigns: schedules are driven through the real program, and judged from outside."""
