// Package api is the HTTP contract of dibs: the OpenAPI description, and the types and the server interface generated
// from it. Package client beside it is the Go client. It imports nothing else of this module.
package api

import _ "embed"

//go:generate go tool -modfile=../tools/mod/go.mod oapi-codegen -config server.cfg.yaml openapi.yaml
//go:generate go tool -modfile=../tools/mod/go.mod oapi-codegen -config client.cfg.yaml openapi.yaml

// Spec is openapi.yaml, the source of everything generated here.
//
//go:embed openapi.yaml
var Spec []byte
