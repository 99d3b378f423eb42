// Asks the browser for a passkey and puts what it signed into the form that is posted. Nothing else.
// Without this script, or without passkeys, the buttons stay hidden and the forms work as they are.
"use strict";
(() => {
  if (!window.PublicKeyCredential || !navigator.credentials || !window.crypto.subtle) return;

  const encoded = (buffer) =>
    btoa(String.fromCharCode(...new Uint8Array(buffer)))
      .replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
  const decoded = (text) =>
    Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (each) => each.charCodeAt(0));
  const digest = async (text) => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text));

  const signed = async (button, form) => {
    const about = form.elements.user_code;
    const challenge = form.elements.challenge.value;
    const credential = await navigator.credentials.get({
      publicKey: {
        challenge: await digest(`gw1|passkey|${challenge}|${about ? about.value : ""}`),
        rpId: button.dataset.rp,
        userVerification: "required",
      },
    });
    const { authenticatorData, clientDataJSON, signature, userHandle } = credential.response;
    return { credential, response: {
      authenticatorData: encoded(authenticatorData),
      clientDataJSON: encoded(clientDataJSON),
      signature: encoded(signature),
      userHandle: userHandle ? encoded(userHandle) : null,
    } };
  };

  const made = async (button) => {
    const { rp, challenge, handle, name, person, exclude } = button.dataset;
    const credential = await navigator.credentials.create({
      publicKey: {
        rp: { id: rp, name: rp },
        user: { id: decoded(handle), name, displayName: person },
        challenge: decoded(challenge),
        pubKeyCredParams: [-8, -7, -257].map((alg) => ({ type: "public-key", alg })),
        excludeCredentials: exclude.split(" ").filter(Boolean)
          .map((id) => ({ type: "public-key", id: decoded(id) })),
        authenticatorSelection: { residentKey: "required", requireResidentKey: true, userVerification: "required" },
        attestation: "none",
      },
    });
    const { attestationObject, clientDataJSON } = credential.response;
    return { credential, response: {
      attestationObject: encoded(attestationObject),
      clientDataJSON: encoded(clientDataJSON),
    } };
  };

  for (const button of document.querySelectorAll("button[data-passkey]")) {
    const form = button.form;
    const failure = form.querySelector(".failure");
    button.closest("[hidden]").hidden = false;
    button.addEventListener("click", async () => {
      const about = form.elements.user_code;
      if (about && !about.reportValidity()) return;
      failure.hidden = true;
      button.disabled = true;
      try {
        const { credential, response } = await (button.dataset.passkey === "make" ? made : signed)(button, form);
        form.elements.passkey.value = JSON.stringify({
          id: credential.id, rawId: encoded(credential.rawId), type: credential.type, response,
        });
        form.submit();
      } catch {
        failure.hidden = false;
        button.disabled = false;
      }
    });
  }
})();
