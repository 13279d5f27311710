package main

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"sync"

	"github.com/goccy/go-yaml"

	"github.com/evercert/evercert/cert"
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
	codes := make([]cert.Code, len(cert.Explanations))
	for i, e := range cert.Explanations {
		codes[i] = e.Code
	}
	listed, err := json.Marshal(codes)
	if err != nil {
		return nil, fmt.Errorf("the codes of problems: %w", err)
	}
	var compact bytes.Buffer
	if err := json.Compact(&compact, document); err != nil {
		return nil, fmt.Errorf("openapi.yaml: %w", err)
	}
	return bytes.Replace(compact.Bytes(), []byte(`"examples":[]`), append([]byte(`"examples":`), listed...), 1), nil // of Code
})
