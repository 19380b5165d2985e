"""What monitoring keeps and tells: references, history, Evidently's workspace, alerts."""
