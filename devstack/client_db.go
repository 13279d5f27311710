package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
)

const dbUsage = `usage: devstack db fault refuse|hang|slow MS|readonly|none [--for SECONDS]
       devstack db lock TABLE|all SECONDS
       devstack db trigger TEXT ACTION [SECONDS] [--value V,V…] [--and V] [--times N]
       devstack db triggers | release ID | stats | reset`

// dbCommand orders faults of the product's database.
func dbCommand(ctx context.Context, stack stackFile, args []string, out io.Writer) error {
	if stack.DBControl == "" {
		return errors.New("this stack has no part dbgate")
	}
	length, args, err := takeFlag(args, "--for", "0")
	if err != nil {
		return err
	}
	lasting, err := strconv.ParseFloat(length, 64)
	if err != nil {
		return fmt.Errorf("--for: %w", err)
	}
	post := func(path string, body, answer any) error {
		return callControl(ctx, http.MethodPost, stack.DBControl+path, body, answer)
	}
	switch {
	case (len(args) == 2 || len(args) == 3) && args[0] == "fault":
		return post("/fault", faultRequest{Fault: args[1:], Seconds: lasting}, nil)
	case len(args) == 3 && args[0] == "lock":
		n, err := strconv.ParseFloat(args[2], 64)
		if err != nil {
			return fmt.Errorf("for how many seconds: %w", err)
		}
		var tables []string
		if err := post("/lock", lockRequest{Table: args[1], Seconds: n}, &tables); err != nil {
			return err
		}
		fmt.Fprintf(out, "locked %s\n", strings.Join(tables, ", "))
		return nil
	case len(args) >= 3 && args[0] == "trigger":
		return dbTrigger(args[1:], out, post)
	case len(args) == 2 && args[0] == "release":
		id, err := strconv.Atoi(args[1])
		if err != nil {
			return fmt.Errorf("which trigger: %w", err)
		}
		return post("/release", map[string]int{"id": id}, nil)
	case len(args) == 1 && args[0] == "reset":
		return post("/reset", struct{}{}, nil)
	case len(args) == 1 && (args[0] == "triggers" || args[0] == "stats"):
		var answer json.RawMessage
		if err := callControl(ctx, http.MethodGet, stack.DBControl+"/"+args[0], nil, &answer); err != nil {
			return err
		}
		_, err := fmt.Fprintf(out, "%s\n", answer)
		return err
	}
	return errors.New(dbUsage)
}

func dbTrigger(args []string, out io.Writer, post func(path string, body, answer any) error) error {
	values, args, err := takeFlag(args, "--value", "")
	if err != nil {
		return err
	}
	and, args, err := takeFlag(args, "--and", "")
	if err != nil {
		return err
	}
	times, args, err := takeFlag(args, "--times", "1")
	if err != nil {
		return err
	}
	if len(args) < 2 || len(args) > 3 {
		return errors.New(dbUsage)
	}
	order := triggerOrder{Text: args[0], Action: args[1], And: and}
	if values != "" {
		order.Values = strings.Split(values, ",")
	}
	if order.Times, err = strconv.Atoi(times); err != nil {
		return fmt.Errorf("--times: %w", err)
	}
	if len(args) == 3 {
		if order.For, err = strconv.ParseFloat(args[2], 64); err != nil {
			return fmt.Errorf("for how many seconds: %w", err)
		}
	}
	var trigger gateTrigger
	if err := post("/triggers", order, &trigger); err != nil {
		return err
	}
	fmt.Fprintf(out, "trigger %d\n", trigger.ID)
	return nil
}
