"""pty-chi and torch: the only rooms that import them; pty-chi is imported here, by `late`."""

from fly64tasks.recon.ptychi import late

late.import_ptychi()
