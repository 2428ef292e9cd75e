"""Power Platform connectors: a folder with a Swagger 2 definition and what the platform knows beside it."""
