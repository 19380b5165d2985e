"""The API against its peers: latency, throughput, CPU per request, memory and time until ready."""
