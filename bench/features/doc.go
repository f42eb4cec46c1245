// Package features has no code but its tests: what the README's comparison says of the behaviour of other Go caches, tried on
// them, in the versions that bench/go.mod has. A line of the table that behaves otherwise fails them.
package features
