"""The outside world in a box: Alipay, WeChat Pay, their payer's phone and a sample shop; Pitaya knows it by wire."""
