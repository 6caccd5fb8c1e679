// Nothing here may reach outside: no fonts, no telemetry, no hosted client.
Scalar.createApiReference('#app', {
  url: '/openapi.yaml',
  withDefaultFonts: false,
  telemetry: false,
  showDeveloperTools: 'never',
  hideClientButton: true,
  agent: { disabled: true },
  mcp: { disabled: true },
})
