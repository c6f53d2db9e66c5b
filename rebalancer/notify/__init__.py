"""The way out for mails: yagmail, an outbox for what cannot leave yet, files without SMTP."""
