"""Services and what stands behind them."""
