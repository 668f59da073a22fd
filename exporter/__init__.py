"""seedtune.exporter: a checkpoint becomes a bundle. Needs the ``export`` extra; nothing else imports it."""
