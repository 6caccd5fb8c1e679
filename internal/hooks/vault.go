package hooks

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"

	"github.com/dibs-deals/dibs/internal/store"
)

// Vault seals the secrets of webhooks under keys that the database does not hold: whoever reads it, or a copy of it, can then not sign
// in this service's name. The first key seals, every one opens, so that keys can be changed. A nil Vault seals nothing.
type Vault struct{ keys []vaultKey }

type vaultKey struct {
	name string // the beginning of its hash: says which key opens, and nothing of the key
	aead cipher.AEAD
}

// sealedAs begins a sealed secret: sealedAs, name of the key, ".", base64 of nonce and AES-256-GCM, bound to the webhook.
const sealedAs = "sealed1."

// NewVault reads keys: base64 of 32 bytes each, separated by commas. Without any it returns nil.
func NewVault(keys string) (*Vault, error) {
	if strings.TrimSpace(keys) == "" {
		return nil, nil
	}
	v := &Vault{}
	for i, text := range strings.Split(keys, ",") {
		key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(text))
		if err != nil || len(key) != 32 {
			return nil, fmt.Errorf("key %d is not the base64 of 32 bytes: make one by openssl rand -base64 32", i+1) // without the key
		}
		block, err := aes.NewCipher(key)
		if err != nil {
			return nil, err
		}
		aead, err := cipher.NewGCMWithRandomNonce(block)
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(append([]byte("dibs webhook key\n"), key...))
		v.keys = append(v.keys, vaultKey{hex.EncodeToString(sum[:4]), aead})
	}
	return v, nil
}

// errSealed: a secret is sealed with a key that is not here.
var errSealed = errors.New("its secret cannot be opened")

// open returns the text of a secret of a webhook. One that was never sealed is as it is.
func (v *Vault) open(webhook, text string) (string, error) {
	rest, sealed := strings.CutPrefix(text, sealedAs)
	if !sealed {
		return text, nil
	}
	name, body, _ := strings.Cut(rest, ".")
	if v != nil {
		for _, k := range v.keys {
			if k.name != name {
				continue
			}
			b, err := base64.RawStdEncoding.DecodeString(body)
			if err != nil {
				return "", fmt.Errorf("%w: %w", errSealed, err)
			}
			plain, err := k.aead.Open(nil, nil, b, []byte(webhook))
			if err != nil {
				return "", fmt.Errorf("%w: it was not sealed for this webhook, or was changed", errSealed)
			}
			return string(plain), nil
		}
	}
	return "", fmt.Errorf("%w: it is sealed with key %s, which is not among those of DIBS_WEBHOOK_KEYS", errSealed, name)
}

// seal seals the text of a secret of a webhook, unless it is by the first key already.
func (v *Vault) seal(webhook, text string) (string, error) {
	if v == nil || strings.HasPrefix(text, sealedAs+v.keys[0].name+".") {
		return text, nil
	}
	plain, err := v.open(webhook, text)
	if err != nil {
		return "", err
	}
	k := v.keys[0]
	body := k.aead.Seal(nil, nil, []byte(plain), []byte(webhook)) //nolint:gosec // it draws the nonce itself
	return sealedAs + k.name + "." + base64.RawStdEncoding.EncodeToString(body), nil
}

// each puts what do makes of them in the place of the webhook's secrets.
func each(w *store.Webhook, do func(webhook, text string) (string, error)) error {
	out := make([]store.Secret, len(w.Secrets))
	for i, s := range w.Secrets {
		text, err := do(w.ID, s.Text)
		if err != nil {
			return fmt.Errorf("webhook %s: %w", w.ID, err)
		}
		out[i] = store.Secret{Text: text, Until: s.Until}
	}
	w.Secrets = out
	return nil
}

// Seal seals what is not sealed with the first key yet, so that a key is in use, or out of use, once the service has started. A
// secret that no key opens is an error: its webhook could not be told.
func (h *Hooks) Seal(ctx context.Context) error {
	all, err := h.cfg.Store.Webhooks(ctx)
	if err != nil {
		return err
	}
	for _, w := range all {
		before := w.Secrets
		if err := each(&w, h.cfg.Vault.open); err != nil {
			return err
		}
		w.Secrets = before
		if err := each(&w, h.cfg.Vault.seal); err != nil {
			return err
		}
		changed := false
		for i := range before {
			changed = changed || before[i].Text != w.Secrets[i].Text
		}
		if !changed {
			continue
		}
		if _, err := h.cfg.Store.ChangeWebhook(ctx, w.ID, func(w *store.Webhook) error { return each(w, h.cfg.Vault.seal) }); err != nil {
			return err
		}
	}
	return nil
}
