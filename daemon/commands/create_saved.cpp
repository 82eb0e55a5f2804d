#include "daemon/commands/create_saved.hpp"

#include <algorithm>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "core/foundation/byte_size.hpp"
#include "core/foundation/printable.hpp"
#include "core/image/clonezilla_folder.hpp"
#include "core/image/saved_partition.hpp"
#include "core/image/source_checks.hpp"

namespace seedbed {

namespace {

constexpr std::int32_t assumed_sector = 512; ///< partclone does not record it

/// The name of the source in messages.
std::string const& saved_name(create_options const& options) {
    return options.from_partclone.empty() ? options.source : options.from_partclone.front();
}

/// Refuses blocks that are smaller than the sectors of the disk.
result<void, create_failure> check_blocks(saved_partition const& partition, std::int32_t sector_size) {
    if (partition.block_size() % sector_size != 0) {
        return create_failed(exit_refused, partition.name() + ": blocks of " + std::to_string(partition.block_size()) +
                                               " bytes, on a disk with sectors of " + std::to_string(sector_size));
    }
    return {};
}

result<saved_source, create_failure> open_files(create_options const& options) {
    auto partition = saved_partition::open_image({options.from_partclone.begin(), options.from_partclone.end()});
    if (!partition) {
        return create_failed(exit_refused, partition.error().message);
    }
    saved_source source{std::make_unique<saved_disk>(saved_name(options), partition->size()), assumed_sector, {}, {}};
    source.device->add(0, std::move(*partition));
    return source;
}

void print_partition(create_context const& context, partition_entry const& partition, std::string const& what) {
    context.progress.print(printable(describe(partition) + ": " + what));
}

result<void, create_failure> add_saved(create_context const& context, clonezilla_folder const& folder,
                                       clonezilla_partition const& from, saved_source& source) {
    auto const& partition = *find_partition(folder.layout, from.number);
    auto opened = from.all_bytes ? saved_partition::open_bytes(from.files, partition.size)
                                 : saved_partition::open_image(from.files);
    if (!opened) {
        return create_failed(exit_refused, opened.error().message);
    }
    if (opened->size() > partition.size) {
        return create_failed(exit_refused, opened->name() + ": a file system of " + std::to_string(opened->size()) +
                                               " bytes, larger than its partition of " +
                                               std::to_string(partition.size));
    }
    if (auto checked = check_blocks(*opened, source.sector_size); !checked) {
        return checked;
    }
    std::int64_t used = 0;
    for (auto const& each : opened->used()) {
        used += each.length;
    }
    print_partition(context, partition,
                    format_byte_size(used) + " of " + format_byte_size(partition.size) + ": " +
                        (from.all_bytes ? "all bytes" : "used blocks") + ", from " +
                        std::filesystem::path(opened->name()).filename().string());
    source.device->add(partition.start, std::move(*opened));
    return {};
}

/// Prints the partitions that are not in the folder or need no bytes.
void print_others(create_context const& context, clonezilla_folder const& folder) {
    for (auto const& partition : folder.layout.partitions) {
        if (partition.content.type == "swap") {
            print_partition(context, partition,
                            format_byte_size(partition.size) +
                                ": none; the target gets a new swap area with its UUID and label");
        } else if (std::ranges::find(folder.missing, partition.number) != folder.missing.end()) {
            print_partition(context, partition,
                            format_byte_size(partition.size) + ": none, because Clonezilla has not saved it");
        }
    }
}

result<saved_source, create_failure> open_folder(create_context const& context) {
    auto folder = read_clonezilla_folder(context.options.source);
    if (!folder) {
        return create_failed(exit_refused, folder.error().message);
    }
    saved_source source{std::make_unique<saved_disk>(context.options.source, folder->layout.disk_size),
                        folder->layout.sector_size,
                        {},
                        {}};
    if (!folder->gap.empty()) {
        source.device->add(folder->layout.gap_start, std::move(folder->gap));
    }
    if (folder->partitions.empty()) {
        return create_failed(exit_refused, context.options.source + ": no partition holds anything");
    }
    for (auto const& each : folder->partitions) {
        if (auto const added = add_saved(context, *folder, each, source); !added) {
            return tl::unexpected(added.error());
        }
    }
    print_others(context, *folder);
    source.layout = std::move(folder->layout);
    return source;
}

/// What a partition holds; empty if several signatures contradict each other. \param size of the partition, bytes.
result<disk_content, create_failure> content_of(create_context const& context, saved_partition const& partition,
                                                std::int64_t size) {
    auto content = partition.content();
    if (!content) {
        return create_failed(exit_failed, content.error().message);
    }
    if (auto const used = extent_map::make(partition.used())) {
        for (auto const& line : left_out_copies(content->type, partition.head(), size, *used)) {
            warn(context, partition.name(), line);
        }
    }
    return std::move(*content);
}

result<void, create_failure> describe_layout(create_context const& context, saved_source const& source,
                                             disk_layout& layout) {
    for (auto& partition : layout.partitions) {
        auto const* const saved = source.device->partition_at(partition.start);
        if (saved == nullptr) {
            continue;
        }
        auto found = content_of(context, *saved, partition.size);
        if (!found) {
            return tl::unexpected(found.error());
        }
        if (found->type == "swap") { // its bytes are in the image
            found = disk_content{};
        }
        auto& content = partition.content;
        content.type = found->type;
        content.label = found->label;
        content.uuid = found->uuid;
        content.used = 0;
        for (auto const& each : saved->used()) {
            content.used += each.length;
        }
    }
    return {};
}

} // namespace

bool is_saved(create_options const& options) {
    std::error_code ec; // what cannot be examined is not a folder
    return !options.from_partclone.empty() || std::filesystem::is_directory(options.source, ec);
}

result<saved_source, create_failure> open_saved(create_context const& context) {
    auto const& options = context.options;
    if (options.raw || options.raw_if_needed || options.allow_hibernated || options.allow_mounted) {
        return create_failed(exit_usage, "--raw, --raw-if-needed, --allow-hibernated and --allow-mounted do not apply "
                                         "to partclone's files");
    }
    auto source = options.from_partclone.empty() ? open_folder(context) : open_files(options);
    if (source) {
        source->ranges = source->device->ranges(source->sector_size);
        if (source->ranges.empty()) {
            return create_failed(exit_refused, saved_name(options) + ": no block is in use");
        }
    }
    return source;
}

result<packed_description, create_failure> describe_saved(create_context const& context, saved_source& source) {
    if (auto const ended = source.device->finish(); !ended) {
        return create_failed(exit_failed, ended.error().message);
    }
    packed_description description;
    description.source_size = byte_count{source.device->size()};
    description.sector_size = source.sector_size;
    if (source.layout) {
        description.kind = image_kind::disk;
        description.content = source.layout->table == table_type::gpt ? "gpt" : "dos";
        if (auto const described = describe_layout(context, source, *source.layout); !described) {
            return tl::unexpected(described.error());
        }
        description.layout = std::move(source.layout);
        return description;
    }
    auto const& saved = *source.device->partition_at(0);
    // A copy after the file system's last block is in its partition, whose size is unknown.
    auto const content = content_of(context, saved, saved.size() + saved.block_size());
    if (!content) {
        return tl::unexpected(content.error());
    }
    description.kind = image_kind::partition;
    description.content = content->type;
    description.label = content->label;
    description.uuid = content->uuid;
    return description;
}

} // namespace seedbed
