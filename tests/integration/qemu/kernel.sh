# shellcheck shell=bash
# Debian's kernel for a guest, unpacked from its package but not installed. Source this file.

# Prints the path of the package's unpacked tree, which contains boot/vmlinuz-VERSION and lib/modules/VERSION; downloads and
# unpacks it into the cache folder $1 if it is missing. On failure, prints the reason on stderr.
unpack_kernel() {
    local cache=$1 package tree
    package=$(apt-cache depends linux-image-amd64 2>/dev/null |
        sed -n 's/^ *Depends: \(linux-image-[0-9][^ ]*-amd64\)$/\1/p' | head -n 1)
    if [ -z "$package" ]; then
        echo "apt knows no linux-image-amd64" >&2
        return 1
    fi
    tree=$cache/$package
    if [ ! -e "$tree/complete" ]; then
        rm -rf "$tree" && mkdir -p "$tree" || return 1
        if ! (cd "$tree" && apt-get -qq -o APT::Sandbox::User=root download "$package") >"$tree/log" 2>&1; then
            echo "$package cannot be downloaded: $(tail -n 1 "$tree/log")" >&2
            return 1
        fi
        if ! dpkg-deb --fsys-tarfile "$tree"/*.deb | tar -x -C "$tree" --wildcards ./boot/vmlinuz-\* \
            ./lib/modules/\*/modules.\* ./lib/modules/\*/kernel/{arch,block,crypto,lib} \
            ./lib/modules/\*/kernel/drivers/{ata,block,md,mmc,nvdimm,nvme,scsi,usb,virtio}; then
            echo "$package cannot be unpacked" >&2
            return 1
        fi
        rm -f "$tree"/*.deb
        busybox depmod -b "$tree" "$(kernel_version "$tree")" >>"$tree/log" 2>&1 || return 1
        : >"$tree/complete"
    fi
    echo "$tree"
}

kernel_version() {
    basename "$1"/lib/modules/*
}

# Copies the modules $3... and their dependencies from the tree $1 into the root $2.
copy_modules() {
    local tree=$1 root=$2 modules
    shift 2
    modules=$tree/lib/modules/$(kernel_version "$tree")
    mkdir -p "$root/${modules#"$tree"/}"
    cp "$modules"/modules.* "$root/${modules#"$tree"/}"
    awk -v wanted="$*" '
        { file = $1; sub(/:$/, "", file); name = file; sub(/.*\//, "", name); sub(/\.ko.*/, "", name)
          gsub(/-/, "_", name); file_of[name] = file; needs[file] = $0; sub(/^[^:]*: */, "", needs[file]) }
        function add(file,    list, n, i) {
            if (file in done) return
            done[file] = 1
            print file
            n = split(needs[file], list, " ")
            for (i = 1; i <= n; ++i) add(list[i])
        }
        END { n = split(wanted, list, " "); for (i = 1; i <= n; ++i) if (list[i] in file_of) add(file_of[list[i]]) }
    ' "$modules/modules.dep" | (cd "$modules" && cpio --quiet -pdm "$root/${modules#"$tree"/}")
}

# Copies a program and its shared libraries into the root $2, under their own paths.
copy_program() {
    local program root=$2
    program=$(readlink -f "$1")
    {
        echo "$program"
        ldd "$program" 2>/dev/null | grep -o '/[^ )]*'
    } | sort -u | while read -r file; do
        mkdir -p "$root$(dirname "$file")" && cp -L "$file" "$root$file" || return 1
    done
}
