"""Official archives where they lie: a zip, a tar.gz or an unpacked folder."""
