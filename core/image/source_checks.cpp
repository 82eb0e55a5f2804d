#include "core/image/source_checks.hpp"

#include <algorithm>
#include <array>
#include <istream>
#include <system_error>

#include <boost/process/args.hpp>
#include <boost/process/child.hpp>
#include <boost/process/error.hpp>
#include <boost/process/io.hpp>
#include <boost/process/pipe.hpp>

#include "core/foundation/find_program.hpp"
#include "core/image/old_signatures.hpp"

namespace seedbed {

namespace bp = boost::process;

namespace {

using std::string_view_literals::operator""sv;

struct known_format {
    std::string_view magic;
    char const* name;
};
constexpr std::array formats{
    known_format{"\x1f\x8b"sv, "gzip-compressed data"},
    known_format{"\xfd\x37zXZ\0"sv, "xz-compressed data"},
    known_format{"\x28\xb5\x2f\xfd"sv, "zstd-compressed data"},
    known_format{"BZh"sv, "bzip2-compressed data"},
    known_format{"\x04\x22\x4d\x18"sv, "lz4-compressed data"},
    known_format{"\x89LZO\0\r\n\x1a\n"sv, "lzo-compressed data"},
    known_format{"LZIP"sv, "lzip-compressed data"},
    known_format{"PK\x03\x04"sv, "a zip archive"},
    known_format{"7z\xbc\xaf\x27\x1c"sv, "a 7z archive"},
    known_format{"QFI\xfb"sv, "a qcow2 disk image"},
    known_format{"KDMV"sv, "a VMDK disk image"},
    known_format{"# Disk DescriptorFile"sv, "a VMDK disk image"},
    known_format{"<<< "sv, "a VDI disk image"},
    known_format{"vhdxfile"sv, "a VHDX disk image"},
    known_format{"conectix"sv, "a VHD disk image"},
    known_format{"MSWIM\0\0\0"sv, "a WIM archive"},
    known_format{"partclone-image"sv, "a partclone image"},
    known_format{"\0ntfsclone-image"sv, "an ntfsclone image"},
    known_format{"PaRtImAgE-VoLuMe"sv, "a partimage image"},
    known_format{"FsA0"sv, "an fsarchiver archive"},
    known_format{"SBPIECE\n"sv, "an image that seedbed has packed"},
    known_format{"d8:announce"sv, "a .torrent"},
};

bool same_letters(std::string_view text, std::string_view lower) {
    return std::ranges::equal(text, lower, {}, [](char c) { return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c; });
}

bool is_html(std::string_view head) {
    auto const begin = head.find_first_not_of(" \t\r\n\xef\xbb\xbf");
    if (begin == std::string_view::npos) {
        return false;
    }
    auto const text = head.substr(begin);
    return same_letters(text.substr(0, 14), "<!doctype html") || same_letters(text.substr(0, 5), "<html");
}

enum class byte_order { little, big };

/// An unsigned number of \p size bytes; 0 if the head is too short.
std::uint64_t number_at(std::string_view head, std::size_t offset, std::size_t size, byte_order order) {
    if (offset + size > head.size()) {
        return 0;
    }
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < size; ++i) {
        auto const at = order == byte_order::big ? offset + i : offset + size - 1 - i;
        value = value << 8 | static_cast<unsigned char>(head[at]);
    }
    return value;
}

/// struct btrfs_super_block at 64 KiB.
std::optional<std::string> part_of_btrfs(std::string_view head) {
    auto const devices = number_at(head, 0x10000 + 0x88, 8, byte_order::little);
    if (devices <= 1) {
        return std::nullopt;
    }
    return "it is one of " + std::to_string(devices) + " devices of its btrfs";
}

/// struct ext2_super_block at 1 KiB.
std::optional<std::string> part_of_ext(std::string_view head) {
    constexpr std::size_t superblock = 1024;
    constexpr std::uint64_t has_journal = 0x4; // of s_feature_compat
    auto const features = number_at(head, superblock + 0x5c, 4, byte_order::little);
    auto const journal_inode = number_at(head, superblock + 0xe0, 4, byte_order::little);
    if ((features & has_journal) == 0 || journal_inode != 0 || head.size() < superblock * 2) {
        return std::nullopt;
    }
    return "the journal of its file system is on another device";
}

/// struct xfs_dsb, which starts the device.
std::optional<std::string> part_of_xfs(std::string_view head) {
    if (head.size() < 512) {
        return std::nullopt;
    }
    if (number_at(head, 48, 8, byte_order::big) == 0) { // sb_logstart
        return "the log of its file system is on another device";
    }
    if (number_at(head, 16, 8, byte_order::big) != 0) { // sb_rblocks
        return "the real-time section of its file system is on another device";
    }
    return std::nullopt;
}

/// struct ext2_super_block at 1 KiB: the journal is to be replayed.
bool ext_needs_recovery(std::string_view head) {
    constexpr std::uint64_t recover = 0x4; // of s_feature_incompat
    return (number_at(head, 1024 + 0x60, 4, byte_order::little) & recover) != 0;
}

/// struct btrfs_super_block at 64 KiB: the log tree, whose blocks are not listed as used, is to be replayed.
bool btrfs_has_log(std::string_view head) {
    return number_at(head, 0x10000 + 0x60, 8, byte_order::little) != 0; // log_root
}

/// The line is "    log tail: 2 head: 8 state: <DIRTY>".
journal find_xfs_log(std::string const& source) {
    auto const program = find_program("xfs_logprint");
    if (program.empty()) {
        return journal::unknown;
    }
    bp::ipstream output;
    std::error_code ec;
    bp::child child(program, bp::args({"-t", source}), bp::std_in<bp::null, bp::std_out> output, bp::std_err > bp::null,
                    ec);
    if (ec) {
        return journal::unknown;
    }
    auto found = journal::unknown;
    for (std::string line; found == journal::unknown && std::getline(output, line);) {
        if (line.find("log tail:") != std::string::npos) {
            found = line.ends_with("state: <CLEAN>") ? journal::clean : journal::pending;
        }
    }
    child.terminate(ec); // it prints the whole log
    return found;
}

/// A copy of metadata that partclone does not count as used.
struct metadata_copy {
    extent place;
    std::string what;   ///< the message that the image leaves it out, up to its position
    std::string remedy; ///< the rest: what restores it on the target
};

/// Windows puts the backup boot sector into the last sector of the volume, which the file system does not count.
std::vector<metadata_copy> copies_of_ntfs(std::string_view head, std::int64_t size) {
    auto const sector = static_cast<std::int64_t>(number_at(head, 0x0b, 2, byte_order::little));
    auto const sectors = number_at(head, 0x28, 8, byte_order::little);
    if (sector == 0 || sectors >= static_cast<std::uint64_t>(size / sector)) {
        return {};
    }
    auto const offset = static_cast<std::int64_t>(sectors) * sector;
    return {{{offset, sector},
             "the image leaves out the backup boot sector of NTFS at byte ",
             ", as partclone does; chkdsk /f restores it on the target"}};
}

/// btrfs keeps copies of its superblock at 64 MiB and 256 GiB, if the volume is that large.
std::vector<metadata_copy> copies_of_btrfs(std::string_view head, std::int64_t size) {
    constexpr std::int64_t superblock = 4096;
    auto const volume = number_at(head, 0x10000 + 0x70, 8, byte_order::little); // total_bytes
    auto const end = std::min(volume, static_cast<std::uint64_t>(size));
    std::vector<metadata_copy> copies;
    for (std::int64_t const offset : {std::int64_t{64} << 20, std::int64_t{256} << 30}) {
        if (static_cast<std::uint64_t>(offset + superblock) <= end) {
            copies.push_back({{offset, superblock},
                              "the image leaves out the copy of the btrfs superblock at byte ",
                              ", as partclone does; the first mount on the target restores it"});
        }
    }
    return copies;
}

std::vector<metadata_copy> copies_of(std::string_view type, std::string_view head, std::int64_t size) {
    if (type == "ntfs") {
        return copies_of_ntfs(head, size);
    }
    return type == "btrfs" ? copies_of_btrfs(head, size) : std::vector<metadata_copy>{};
}

} // namespace

std::optional<std::string> packed_format(std::string_view head) {
    auto const* const found =
        std::ranges::find_if(formats, [&](auto const& format) { return head.starts_with(format.magic); });
    if (found != formats.end()) {
        return found->name;
    }
    if (head.size() > 262 && head.substr(257, 5) == "ustar") {
        return "a tar archive";
    }
    return is_html(head) ? std::optional<std::string>("an HTML page") : std::nullopt;
}

std::optional<std::string> missing_part(std::string_view type, std::string_view head) {
    if (type == "btrfs") {
        return part_of_btrfs(head);
    }
    if (type == "ext2" || type == "ext3" || type == "ext4") {
        return part_of_ext(head);
    }
    return type == "xfs" ? part_of_xfs(head) : std::nullopt;
}

std::vector<extent> metadata_copies(std::string_view type, std::string_view head, std::int64_t size) {
    std::vector<extent> places;
    for (auto const& copy : copies_of(type, head, size)) {
        places.push_back(copy.place);
    }
    return places;
}

std::vector<std::string> left_out_copies(std::string_view type, std::string_view head, std::int64_t size,
                                         extent_map const& image) {
    std::vector<std::string> lines;
    for (auto const& copy : copies_of(type, head, size)) {
        if (!overlaps(image, copy.place.device_offset, copy.place.length)) {
            lines.push_back(copy.what + std::to_string(copy.place.device_offset) + copy.remedy);
        }
    }
    return lines;
}

journal find_journal(std::string_view type, std::string_view head, std::string const& source) {
    if (type == "xfs") {
        return find_xfs_log(source);
    }
    auto const pending =
        (type == "btrfs" && btrfs_has_log(head)) || ((type == "ext3" || type == "ext4") && ext_needs_recovery(head));
    return pending ? journal::pending : journal::clean;
}

hibernation find_hibernation(std::string const& source) {
    auto const program = find_program("ntfscat");
    if (program.empty()) {
        return hibernation::unknown;
    }
    bp::ipstream output;
    std::error_code ec;
    bp::child child(program, bp::args({"-f", source, "hiberfil.sys"}), bp::std_in<bp::null, bp::std_out> output,
                    bp::std_err > bp::null, ec);
    if (ec) {
        return hibernation::unknown;
    }
    std::array<char, 4> start{}; // stays empty if the file does not exist
    output.read(start.data(), static_cast<std::streamsize>(start.size()));
    auto const complete = output.gcount() == static_cast<std::streamsize>(start.size());
    child.terminate(ec); // the rest may be many GiB
    return complete && same_letters({start.data(), start.size()}, "hibr") ? hibernation::hibernated : hibernation::none;
}

} // namespace seedbed
