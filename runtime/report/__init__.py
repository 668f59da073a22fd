"""seedtune.runtime.report: a RUN folder becomes one HTML page that opens anywhere, offline."""
