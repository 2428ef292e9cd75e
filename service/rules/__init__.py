"""Rules: which messages start what, and with which input. Pure: values in, verdicts and values out."""
