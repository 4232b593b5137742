package fleet

import (
	"context"
	"fmt"

	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
)

// disowned takes the managed fields off an object; from then on the API server keeps
// none for it.
const disowned = `{"metadata":{"managedFields":[{}]}}`

// Disown takes the managed fields off the pods of a fleet of that size: the account of
// which field is whose is a third of what a change of a pod costs the API server, and
// nobody here asks for it.
func Disown(ctx context.Context, config *rest.Config, size Size) error {
	if err := size.check(); err != nil {
		return err
	}
	client, err := newClient(config)
	if err != nil {
		return err
	}
	return each(ctx, size.Pods, func(ctx context.Context, i int) error {
		namespace, name := podName(size, i)
		err := patiently(ctx, func() error {
			_, err := client.CoreV1().Pods(namespace).Patch(ctx, name, types.MergePatchType, []byte(disowned), meta.PatchOptions{})
			return err
		})
		if err != nil {
			return fmt.Errorf("managed fields of pod %s in namespace %s: %w", name, namespace, err)
		}
		return nil
	})
}
