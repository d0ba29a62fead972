"""How a proxy is told what to do, in neutral words; a driver (`envoy/`) brings one there."""
