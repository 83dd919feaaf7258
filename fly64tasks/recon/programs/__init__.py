"""Programs of others as methods: trained once, run per set, their results made ours."""
