#include "core/layout/disk_ids.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>
#include <system_error>

#include <sys/random.h>

#include "core/foundation/hex_number.hpp"

namespace seedbed {

namespace {

constexpr std::string_view microsoft_reserved = "E3C9E316-0B5C-4DB8-817D-F92DF00215AE";
constexpr std::string_view windows_recovery = "DE94BBA4-06D1-4D40-A16A-BFD50179D6AC";
constexpr std::string_view efi_system = "C12A7328-F81F-11D2-BA4B-00A0C93EC93B";
constexpr std::string_view basic_data = "EBD0A0A2-B9E5-4433-87C0-68B6B72699C7";

/// A random GUID (RFC 9562, version 4), in upper case.
std::string new_guid(random_source const& random) {
    std::array<unsigned char, 16> bytes{};
    random(bytes);
    bytes[6] = static_cast<unsigned char>((bytes[6] & 0x0fU) | 0x40U);
    bytes[8] = static_cast<unsigned char>((bytes[8] & 0x3fU) | 0x80U);
    auto text = to_hex({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
    std::ranges::transform(text, text.begin(), [](char c) { return c >= 'a' ? static_cast<char>(c - 'a' + 'A') : c; });
    for (auto const at : {8U, 13U, 18U, 23U}) {
        text.insert(at, 1, '-');
    }
    return text;
}

/// Not 0: Windows takes a disk with that signature for one that was never set up.
std::string new_signature(random_source const& random) {
    std::array<unsigned char, 4> bytes{};
    while (std::ranges::all_of(bytes, [](auto byte) { return byte == 0; })) {
        random(bytes);
    }
    return to_hex({reinterpret_cast<char const*>(bytes.data()), bytes.size()});
}

} // namespace

std::optional<std::string> windows_sign(disk_layout const& layout) {
    bool efi = false;
    partition_entry const* ntfs = nullptr;
    for (auto const& partition : layout.partitions) {
        if (partition.type == microsoft_reserved) {
            return describe(partition) + " is a Microsoft reserved partition";
        }
        if (partition.type == windows_recovery) {
            return describe(partition) + " is a Windows recovery partition";
        }
        efi = efi || partition.type == efi_system;
        if (partition.content.type == "ntfs" && (partition.type == basic_data || partition.bootable)) {
            ntfs = &partition;
        }
    }
    if (ntfs == nullptr) {
        return std::nullopt;
    }
    if (ntfs->bootable) {
        return describe(*ntfs) + " is active";
    }
    return efi ? std::optional(describe(*ntfs) + " is on a disk with an EFI system partition") : std::nullopt;
}

void kernel_random(std::span<unsigned char> bytes) {
    while (!bytes.empty()) {
        auto const got = ::getrandom(bytes.data(), bytes.size(), 0);
        if (got < 0 && errno != EINTR) {
            throw std::system_error(errno, std::generic_category(), "getrandom");
        }
        bytes = bytes.subspan(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    }
}

result<void> make_new_ids(disk_layout& layout, random_source const& random) {
    if (auto const sign = windows_sign(layout)) {
        return tl::unexpected(error{"new ids refused: " + *sign +
                                    ", and Windows' boot configuration identifies the disk by its present ids"});
    }
    layout.id = layout.table == table_type::gpt ? new_guid(random) : new_signature(random);
    for (auto& partition : layout.partitions) {
        if (layout.table == table_type::gpt) {
            partition.uuid = new_guid(random);
        }
    }
    return {};
}

} // namespace seedbed
