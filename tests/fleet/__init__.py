"""A fleet of simulated boards on this machine: what a deploy of many boards costs, and what goes wrong there."""
