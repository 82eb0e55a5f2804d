#pragma once

#include <optional>
#include <string>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/torrent_file.hpp"
#include "daemon/commands/command_help.hpp"

namespace seedbed {

/// The command line of `seedbed create`.
struct create_options {
    /// Block device or image file, with pack also a Clonezilla folder; empty with --partclone, --bt-dir and
    /// --from-partclone.
    std::string source;
    std::string partclone;                   ///< torrent.info
    std::string bt_dir;                      ///< folder with the data files of torrent.info
    std::vector<std::string> from_partclone; ///< with pack: the files of a partclone image
    std::string output;
    std::optional<std::string> piece_size; ///< as given; 16 MiB by default, 4 MiB with pack
    torrent_details torrent;
    bool pack = false; ///< make a packed image; output is its packed file
    int level = 1;     ///< with pack: zstd's level
    int jobs = 0;      ///< with pack: threads; 0: one per processor
    bool capture = false;
    bool raw_if_needed = false;    ///< take all bytes of a source that partclone cannot capture
    bool raw = false;              ///< use the bytes of a compressed file or a disk image of another format as they are
    bool allow_hibernated = false; ///< with capture
    bool no_sparse = false;
    bool allow_mounted = false;
    bool force = false;
    bool json = false;
    bool serve = false; ///< add the image to the daemon's configuration
    std::string config; ///< with serve: the configuration file; empty: the default one
    bool help = false;  ///< nothing else is set in this case
};

/// Parses and checks the command line. Fills in the values that follow from others: the path of torrent.info, the name,
/// the piece length. The error is one line.
[[nodiscard]] result<create_options> parse_create_options(std::vector<std::string> const& arguments);

[[nodiscard]] command_help create_help();

} // namespace seedbed
