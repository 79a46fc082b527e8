"""Where simulated sensors are read: an OPC UA server and MQTT devices."""
