package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"
)

// clientCommand runs one of the commands that talk to a running stack. Flags
// may stand anywhere; they are few, and a record's value may begin with "-".
func clientCommand(ctx context.Context, command string, args []string, out io.Writer) error {
	dir, args, err := takeFlag(args, "--dir", ".dev")
	if err != nil {
		return err
	}
	stack, err := readStackFile(dir)
	if err != nil {
		return err
	}
	switch command {
	case "status":
		return showStatus(ctx, stack, args, out)
	case "kill", "stop", "start":
		return partCommand(ctx, stack, command, args, out)
	case "dns":
		return dnsCommand(ctx, stack, args, out)
	case "db":
		return dbCommand(ctx, stack, args, out)
	case "temporal":
		return temporalCommand(ctx, stack, args)
	}
	if command == "ca2" {
		if stack.CA2Control == "" {
			return errors.New("there is no second CA: start the stack with ca2 among its --parts")
		}
		stack.CAControl = stack.CA2Control
	}
	return caCommand(ctx, stack, args, out)
}

// partCommand kills, stops or starts a part.
func partCommand(ctx context.Context, stack stackFile, command string, args []string, out io.Writer) error {
	if len(args) != 1 {
		return fmt.Errorf("usage: devstack %s PART", command)
	}
	var answer struct{ PID int }
	if err := callControl(ctx, http.MethodPost, stack.SupervisorControl+"/"+command, map[string]string{"part": args[0]}, &answer); err != nil {
		return err
	}
	switch command {
	case "kill":
		fmt.Fprintf(out, "killed %s (pid %d)\n", args[0], answer.PID)
	case "stop":
		fmt.Fprintf(out, "stopped %s\n", args[0])
	default:
		fmt.Fprintf(out, "%s is being started\n", args[0])
	}
	return nil
}

func temporalCommand(ctx context.Context, stack stackFile, args []string) error {
	if len(args) != 2 || args[0] != "faults" {
		return errors.New("usage: devstack temporal faults RATE")
	}
	rate, err := strconv.ParseFloat(args[1], 64)
	if err != nil {
		return fmt.Errorf("the share of calls that fail: %w", err)
	}
	return callControl(ctx, http.MethodPost, stack.SupervisorControl+"/temporal-faults", map[string]float64{"rate": rate}, nil)
}

// takeFlag removes "NAME VALUE" or "NAME=VALUE" from the arguments.
func takeFlag(args []string, name, fallback string) (value string, rest []string, err error) {
	for i, arg := range args {
		if v, ok := strings.CutPrefix(arg, name+"="); ok {
			return v, slices.Delete(slices.Clone(args), i, i+1), nil
		}
		if arg != name {
			continue
		}
		if i+1 == len(args) {
			return "", nil, fmt.Errorf("%s needs a value", name)
		}
		return args[i+1], slices.Delete(slices.Clone(args), i, i+2), nil
	}
	return fallback, args, nil
}

func showStatus(ctx context.Context, stack stackFile, args []string, out io.Writer) error {
	var parts []partStatus
	if err := callControl(ctx, http.MethodGet, stack.SupervisorControl+"/status", nil, &parts); err != nil {
		return err
	}
	if slices.Contains(args, "--json") {
		return json.NewEncoder(out).Encode(parts)
	}
	table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
	fmt.Fprintln(table, "PART\tSTATE\tPID\tSINCE\tRESTARTS\tLAST EXIT")
	for _, p := range parts {
		fmt.Fprintf(table, "%s\t%s\t%d\t%s\t%d\t%s\n", p.Part, p.State, p.PID, p.Since.Format(time.TimeOnly), p.Restarts, p.LastExit)
	}
	return table.Flush()
}

func dnsCommand(ctx context.Context, stack stackFile, args []string, out io.Writer) error {
	records, faults := stack.DNSControl+"/records", stack.DNSControl+"/faults"
	switch {
	case len(args) == 4 && args[0] == "set":
		return callControl(ctx, http.MethodPost, records, dnsRecord{args[1], args[2], args[3]}, nil)
	case len(args) == 3 && args[0] == "del":
		return callControl(ctx, http.MethodDelete, records, dnsRecord{args[1], args[2], ""}, nil)
	case len(args) == 4 && args[0] == "del":
		return callControl(ctx, http.MethodDelete, records, dnsRecord{args[1], args[2], args[3]}, nil)
	case len(args) == 3 && args[0] == "fault":
		return callControl(ctx, http.MethodPost, faults, map[string]string{"name": args[1], "kind": args[2]}, nil)
	case len(args) == 1 && args[0] == "list":
		var state storedState
		if err := callControl(ctx, http.MethodGet, records, nil, &state); err != nil {
			return err
		}
		table := tabwriter.NewWriter(out, 0, 8, 2, ' ', 0)
		for _, r := range state.Records {
			fmt.Fprintf(table, "%s\t%s\t%s\n", r.Name, r.Type, r.Value)
		}
		for name, kind := range state.Faults {
			fmt.Fprintf(table, "%s\tfault\t%s\n", name, kind)
		}
		return table.Flush()
	}
	return errors.New("usage: devstack dns set NAME TYPE VALUE | del NAME TYPE [VALUE] | fault NAME servfail|timeout|refused|lame|none | list")
}

func caCommand(ctx context.Context, stack stackFile, args []string, out io.Writer) error {
	name, args, err := takeFlag(args, "--name", "")
	if err != nil {
		return err
	}
	switch {
	case len(args) == 1 && args[0] == "stats":
		var stats caStats
		if err := callControl(ctx, http.MethodGet, stack.CAControl+"/stats", nil, &stats); err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(stats)
	case len(args) == 1 && args[0] == "faults":
		var faults []faultDone
		if err := callControl(ctx, http.MethodGet, stack.CAControl+"/faults", nil, &faults); err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(faults)
	case len(args) == 1 && args[0] == "orders":
		var orders map[string]int
		if err := callControl(ctx, http.MethodGet, stack.CAControl+"/orders", nil, &orders); err != nil {
			return err
		}
		return json.NewEncoder(out).Encode(orders)
	case len(args) == 1 && args[0] == "reset":
		return callControl(ctx, http.MethodPost, stack.CAControl+"/reset", struct{}{}, nil)
	case (len(args) == 3 || len(args) == 4) && args[0] == "fault":
		order := faultOrder{Path: args[1], Action: args[2], Times: 1, Name: name}
		if len(args) == 4 {
			if order.Times, err = strconv.Atoi(args[3]); err != nil {
				return fmt.Errorf("how many times: %w", err)
			}
		}
		return callControl(ctx, http.MethodPost, stack.CAControl+"/faults", order, nil)
	}
	return errors.New("usage: devstack ca stats | orders | fault PATH ACTION [N] [--name HOST] | faults | reset")
}
