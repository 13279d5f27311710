package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/goccy/go-yaml"
)

// openAPIYAML describes the API. People edit it as YAML; callers get it as JSON.
//
//go:embed openapi.yaml
var openAPIYAML []byte

var openAPIDocument = sync.OnceValues(func() ([]byte, error) {
	document, err := yaml.YAMLToJSON(openAPIYAML)
	if err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return compact.Bytes(), nil
})
