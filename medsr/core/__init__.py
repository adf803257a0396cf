"""What everything stands on: errors, geometry, intensity, resampling, devices, resources."""
