"""What programs that speak OPC UA share: their certificates, and whose they trust."""
