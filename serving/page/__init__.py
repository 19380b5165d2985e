"""The page at /demo, for the people who talk to customers. A process of its own (Gradio is large) that asks the API over HTTP."""

PATH = "/demo"
