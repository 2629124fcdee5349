//go:build race

package store_test

// raced says that the race detector slows everything down.
const raced = true
