"""What happened, told to others: syslog receivers and webhooks. Formats are pure; `forwarder` alone has a loop."""
