"""What the owner reads: mails, summary, status, plots. Records in, text and PNG bytes out."""
