package main

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/evercert/evercert/control"
	"github.com/evercert/evercert/keyring"
)

// keyringCommand works on a file; it needs neither database nor Temporal.
func (a *app) keyringCommand() *cobra.Command {
	parent := &cobra.Command{Use: "keyring", Short: "The keys that seal the private keys in the database", Args: cobra.NoArgs}
	parent.AddCommand(
		a.keyringFileCommand(
			"generate",
			"Make a new keyring; an existing file is never overwritten",
			keyring.Generate,
			"choose another file name: what was sealed by an overwritten keyring is lost",
			"The worker and every edge need it (KEYRING_FILE). Back it up apart from the database: without it no private key in there can be "+
				"opened again.",
		),
		a.keyringFileCommand("rotate", "Add a key that seals from now on; the older ones still open", keyring.Rotate,
			"if no other rotation is under way, remove the file that ends in .new and rotate again",
			"Bring the file to the worker and every edge, and restart them: the edges first, since they only open. Back it up again."),
	)
	return parent
}

func (a *app) keyringFileCommand(verb, short string, do func(path string) error, whenExists, next string) *cobra.Command {
	return &cobra.Command{
		Use: verb + " FILE", Short: short, Args: cobra.ExactArgs(1),
		RunE: func(_ *cobra.Command, args []string) error {
			err := do(args[0])
			switch {
			case errors.Is(err, fs.ErrExist):
				return carriedOut{control.Malformed(err.Error(), whenExists)}
			case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENAMETOOLONG), errors.Is(err, syscall.ENOTDIR):
				return carriedOut{control.Malformed(err.Error(), "name a file in a folder that exists")}
			case err != nil:
				return carriedOut{err}
			}
			if a.json {
				a.printJSON(a.out, map[string]string{"file": args[0]})
				return nil
			}
			fmt.Fprintf(a.out, "%s is written. %s\n", args[0], next)
			return nil
		},
	}
}
