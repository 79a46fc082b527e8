"""How third parties get alarms and values: webhooks, e-mail, and an OPC UA server."""
