#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "core/device/device_identity.hpp"
#include "core/foundation/error.hpp"
#include "core/foundation/info_hash.hpp"

namespace seedbed {

/// The pieces of an image that are durable on its device, from which a later start can resume.
struct checkpoint {
    seedbed::info_hash info_hash;
    std::string device;       ///< the path
    std::string placement;    ///< see packed_plan::placement_id(); empty if there is no plan
    device_identity identity; ///< of the device when the checkpoint was made
    std::vector<bool> pieces; ///< true: on the device
    bool verified = false;    ///< all pieces are on the device, and were read back and hashed
    /// Seedbed wrote nothing to the device after the identity was taken: later writes come from another program.
    bool at_rest = false;
    std::int64_t time = 0; ///< when the checkpoint was made, in seconds since 1970

    [[nodiscard]] bool complete() const;
    friend bool operator==(checkpoint const&, checkpoint const&) = default;
};

/// In bytes: many times the size of a checkpoint with the maximum number of pieces of a torrent.
inline constexpr std::size_t largest_checkpoint = 64 << 20;

/// Calls \p flush and then, unless that fails, \p save: a checkpoint lists only pieces covered by a flush, so they must
/// have been determined before. Blocks. \return the outcome of the flush; \p save handles its own errors.
[[nodiscard]] result<void, io_error> flush_then_save(std::function<result<void, io_error>()> const& flush,
                                                     std::function<void()> const& save);

/// Converts a checkpoint to text and back. The text contains a version, and a checksum of the rest.
[[nodiscard]] std::string format_checkpoint(checkpoint const& what);
[[nodiscard]] result<checkpoint> parse_checkpoint(std::string const& text);

/// Why \p found must not be used to deploy this torrent to this device; nothing if it fits.
[[nodiscard]] std::optional<std::string> why_unfit(checkpoint const& found, info_hash const& hash,
                                                   std::int32_t piece_count, std::string const& device,
                                                   device_identity const& present);

/// The SHA-1 of \p text, 40 hex digits.
[[nodiscard]] std::string sha1_text(std::string const& text);

} // namespace seedbed
