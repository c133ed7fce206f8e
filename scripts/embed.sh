#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Prints an assembler file that carries the file $1 as agent_blob .. agent_blob_end.
set -eu
path=$(realpath "$1")
cat <<END
    .section .rodata
    .global agent_blob
    .global agent_blob_end
    .balign 16
agent_blob:
    .incbin "$path"
agent_blob_end:
    .byte 0
    .section .note.GNU-stack, "", %progbits
END
