"""What is watched and told: gauges, alarms, dashboard, topic."""
