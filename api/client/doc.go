// Package client calls dibs from Go. It is generated from openapi.yaml; package api is the server's side of it.
package client
