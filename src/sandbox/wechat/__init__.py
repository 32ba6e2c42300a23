"""WeChat Pay API v3: the merchant API and its payment notices."""
