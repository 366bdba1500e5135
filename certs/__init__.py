"""Key and certificate tooling: makes the files that the gateway, its clients and its endpoints are configured with.

What this is not: a key store or a rotation service. It writes files once and never reads the
gateway's data. README.md beside this file says who holds which key.

The rules a change must keep:
1. A private key is born in a new file (O_EXCL) of mode 0600 in a folder of mode 0700; there is no `chmod` after.
2. Time comes in as a parameter, so a certificate's dates are the caller's decision and tests do not wait.
3. Only formats that others read: PEM, OpenSSH, Crypt4GH, JWK, C2SP note keys.
"""
