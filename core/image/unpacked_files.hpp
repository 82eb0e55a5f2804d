#pragma once

#include <filesystem>
#include <memory>
#include <vector>

#include "core/foundation/error.hpp"
#include "core/image/byte_source.hpp"

namespace seedbed {

/// The content of files that belong together, such as "NAME.aa", "NAME.ab", joined and unpacked.
///
/// The first bytes show how they are packed: gzip, zstd, xz, bzip2 and lz4 are unpacked by the programs of these names,
/// through a pipe; anything else is returned as it is. The end of the stream is reached only if the programs succeeded;
/// otherwise the last read() fails with the last line that they printed. The source is named like the first file.
///
/// \param files at least one, in order. The error is one line: a file cannot be read, or the program is not installed.
[[nodiscard]] result<std::unique_ptr<byte_source>> open_unpacked(std::vector<std::filesystem::path> const& files);

} // namespace seedbed
