package sink

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"text/template"
	"text/template/parse"
)

// builtins are the functions of text/template that a name may use. The others call, escape for the web or fail on short text.
var builtins = map[string]bool{
	"and": true, "or": true, "not": true, "len": true,
	"eq": true, "ne": true, "lt": true, "le": true, "gt": true, "ge": true,
}

// nameFuncs are the functions that templates have beside builtins. None returns more than a bounded text, so that no
// template can grow without end.
func nameFuncs() template.FuncMap {
	return template.FuncMap{
		"upper": func(s string) string { return bounded(strings.ToUpper(s)) },
		"lower": func(s string) string { return bounded(strings.ToLower(s)) },
		"trim":  strings.TrimSpace,
		// truncate 20 .Title: at most 20 bytes, whole characters
		"truncate": func(n int, s string) string { return cut(s, max(n, 0)) },
		// default "unknown" .Title
		"default": func(or, s string) string {
			if strings.TrimSpace(s) == "" {
				return or
			}
			return s
		},
		// replace " " "_" .Title
		"replace": func(old, new, s string) (string, error) {
			if (strings.Count(s, old)+1)*len(new) > maxOutput {
				return "", errOutput
			}
			return bounded(strings.ReplaceAll(s, old, new)), nil
		},
		"print":  func(args ...any) string { return bounded(fmt.Sprint(args...)) },
		"printf": boundedPrintf,
	}
}

// boundedPrintf is printf for formats that cannot ask for a huge width.
func boundedPrintf(format string, args ...any) (string, error) {
	verb, digits := false, 0
	for _, r := range format {
		switch {
		case r == '%':
			verb, digits = !verb, 0
		case !verb:
		case r >= '0' && r <= '9':
			if digits++; digits > 3 {
				return "", errors.New("printf: a width of more than 3 digits")
			}
		case r == '*':
			return "", errors.New("printf: a width from an argument")
		case r == '.':
			digits = 0
		case strings.ContainsRune("+-# []", r):
		default:
			verb = false
		}
	}
	return bounded(fmt.Sprintf(format, args...)), nil
}

// bounded cuts s to maxOutput bytes.
func bounded(s string) string { return cut(s, maxOutput) }

// inspect refuses what a name has no use for (loops, other templates, sub-folders, unknown fields) and finds out what the
// template shows.
func (n *Name) inspect() error {
	if len(n.tmpl.Templates()) > 1 {
		return errors.New("it defines another template")
	}
	if n.tmpl.Tree == nil || n.tmpl.Root == nil {
		return errors.New("it is empty")
	}
	return n.walk(n.tmpl.Root, true)
}

// walk inspects a node; top says that the dot is the document.
func (n *Name) walk(node parse.Node, top bool) error {
	switch node := node.(type) {
	case *parse.ListNode:
		if node == nil {
			return nil
		}
		for _, child := range node.Nodes {
			if err := n.walk(child, top); err != nil {
				return err
			}
		}
	case *parse.TextNode:
		if strings.ContainsAny(string(node.Text), `/\`) {
			return errors.New("it asks for a sub-folder; a name is one file's name, without / or \\")
		}
	case *parse.CommentNode:
	case *parse.ActionNode:
		return n.walk(node.Pipe, top)
	case *parse.IfNode:
		return n.branch(&node.BranchNode, top, top)
	case *parse.WithNode:
		return n.branch(&node.BranchNode, top, false)
	case *parse.PipeNode:
		if node == nil {
			return nil
		}
		for _, command := range node.Cmds {
			for _, arg := range command.Args {
				if err := n.walk(arg, top); err != nil {
					return err
				}
			}
		}
	case *parse.IdentifierNode:
		if _, ok := nameFuncs()[node.Ident]; !ok && !builtins[node.Ident] {
			return fmt.Errorf("function %q cannot be used in a name", node.Ident)
		}
	case *parse.FieldNode:
		return n.field(node.Ident, top)
	case *parse.VariableNode:
		if node.Ident[0] == "$" && len(node.Ident) > 1 {
			return n.field(node.Ident[1:], true)
		}
	case *parse.ChainNode:
		return n.walk(node.Node, top)
	case *parse.DotNode, *parse.NilNode, *parse.BoolNode, *parse.NumberNode, *parse.StringNode:
	default: // range, break, continue, template
		return fmt.Errorf("%q cannot be used in a name", node.String())
	}
	return nil
}

// branch inspects an if or a with, whose body has the document as its dot where inner is set.
func (n *Name) branch(b *parse.BranchNode, top, inner bool) error {
	return errors.Join(n.walk(b.Pipe, top), n.walk(b.List, inner), n.walk(b.ElseList, top))
}

// field checks a chain of fields such as Patient.LastName, also in branches that no sample takes.
func (n *Name) field(path []string, top bool) error {
	switch path[0] {
	case "Revision":
		n.revision = true
	case "UUID", "ShortID":
		// Inside a with it may be the patient's; the name then gets the document's identifier after all.
		n.identity = n.identity || top
		n.uuid = n.uuid || top && path[0] == "UUID"
	}
	if !top {
		return nil
	}
	t := reflect.TypeFor[nameFields]()
	for i, name := range path {
		if _, ok := t.MethodByName(name); ok && i == len(path)-1 {
			return nil
		}
		if t.Kind() != reflect.Struct {
			return fmt.Errorf("unknown field .%s", strings.Join(path, "."))
		}
		f, ok := t.FieldByName(name)
		if !ok || !f.IsExported() {
			return fmt.Errorf("unknown field .%s", strings.Join(path, "."))
		}
		t = f.Type
	}
	return nil
}
