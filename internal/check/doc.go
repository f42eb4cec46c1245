// Package check holds the rules of this repository that the compiler does not know, as tests: which package may
// import which, that Go code in the README is code that is compiled, and that a stranger can use a release.
package check
