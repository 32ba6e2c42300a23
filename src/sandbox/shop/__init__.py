"""A sample shop: an ordinary merchant of Pitaya's, from the buy button to the verified webhook and the refund."""
