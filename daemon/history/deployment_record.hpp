#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace seedbed {

/// How a deployment ended.
enum class deployment_end : std::uint8_t {
    done,
    failed,
    refused ///< before the first write
};
/// For example "done".
[[nodiscard]] char const* to_string(deployment_end end) noexcept;
/// The inverse; nothing for any other text.
[[nodiscard]] std::optional<deployment_end> parse_deployment_end(std::string_view text) noexcept;

/// A deployment that has ended, as its machine reported it: what was written where, when, and how it ended. A text is
/// empty if it is unknown.
struct deployment_record {
    using wall_time = std::chrono::system_clock::time_point;

    std::string id; ///< of the job, or made by the machine; may be empty
    bool is_job = false;
    bool authenticated = false; ///< the sender proved that it knows the secret
    wall_time ended;
    std::optional<wall_time> started = {};
    /// Measured with a steady clock, unlike the two times; nothing if it is unknown.
    std::optional<std::chrono::milliseconds> taken = {};
    deployment_end end = deployment_end::failed;
    std::optional<bool> verified = {}; ///< read back from the disk and hashed
    std::string machine = {};          ///< its configured name
    std::string card = {};             ///< MAC address or serial number
    std::string address = {};
    std::string image = {};
    std::string info_hash = {}; ///< 40 hex digits
    std::string device = {};    ///< path on the machine
    std::string model = {};
    std::string serial = {};                      ///< of the disk
    std::string disk_class = {};                  ///< "hdd", "sata_ssd", "nvme"
    std::optional<std::int64_t> disk_bytes = {};  ///< size of the device
    std::optional<std::int64_t> image_bytes = {}; ///< size of the image on the device
    std::optional<std::int64_t> fetched = {};     ///< bytes received for the image
    std::string reason = {};                      ///< of a failure or a refusal, one line
    std::string warnings = {};                    ///< separated by "; "
    std::string receipt = {};                     ///< JSON, see receipt_text.hpp
    /// The receipt as a machine has sent it, until the history_store unpacks it.
    std::string packed_receipt = {};

    friend bool operator==(deployment_record const&, deployment_record const&) = default;
};

/// The longest text of a record, in bytes.
inline constexpr std::size_t longest_record_text = 300;

/// The record with printable texts of limited length, and a checked receipt: they come from machines, or from a file
/// that anyone may have changed.
[[nodiscard]] deployment_record bounded(deployment_record record);

/// The time that the deployment took, in seconds: as measured, otherwise from its start to its end; nothing if it is
/// unknown.
[[nodiscard]] std::optional<double> seconds_of(deployment_record const& record) noexcept;

/// Which records to list. All conditions must hold; texts match regardless of case.
struct history_filter {
    std::string image = {};   ///< its name, or the beginning of its info-hash; empty: any
    std::string machine = {}; ///< its name, card or address; empty: any
    std::optional<deployment_record::wall_time> since = {};
    bool unsuccessful = false;               ///< only those that have failed or were refused
    std::optional<std::int64_t> before = {}; ///< only records with a smaller number
    std::size_t most = 1000;                 ///< the most records
    bool receipts = false;                   ///< with their receipts, otherwise without
};
/// The most records of one answer, without and with their receipts.
inline constexpr std::size_t most_listed_records = 5000;
inline constexpr std::size_t most_listed_receipts = 500;
[[nodiscard]] constexpr std::size_t most_listed_of(history_filter const& filter) noexcept {
    return filter.receipts ? most_listed_receipts : most_listed_records;
}

} // namespace seedbed
