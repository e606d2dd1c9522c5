"""YAML as the Pulumi CLI understands it, so that a stack file means here what it means to `pulumi
up`.

The CLI reads with a YAML 1.2 parser of Go (gopkg.in/yaml.v3), writes what it found as YAML again
and reads that into its config (sdk/go/common/workspace/loaders.go). Both passes leave marks on
values: dates, numbers in other notations and keys that are no text. `nodes` finds the structure,
`scalars` says what a plain scalar is, `values` makes values of both, `texts` writes them as the CLI
does. What the CLI refuses is refused here with a line, and so is a little more that no stack file
needs.
"""
