"""What tests, the demonstration and load runs need: clocks, certificates, peers in memory and a simulated fleet."""
