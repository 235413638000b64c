"""The captioning study: does synthetic data help a captioner?"""
