#include "daemon/machine/machine_orders.hpp"

#include <algorithm>
#include <iterator>
#include <set>
#include <utility>

#include <spdlog/fmt/fmt.h>

#include "core/foundation/printable.hpp"
#include "daemon/http/shared_secret.hpp"

namespace seedbed {

namespace {

using namespace std::chrono_literals;

constexpr char const* boot_prefix = "boot:";
constexpr char const* behind_boot_names = "boot;"; ///< the first name after all that begin with boot_prefix
constexpr auto ask_again_soon = 10s;               ///< if only the server has to change
constexpr auto ask_again_later = 60s;

std::string new_job_id() {
    std::string id;
    for (auto const byte : random_bytes(job_id_bytes)) {
        id += fmt::format("{:02x}", static_cast<unsigned char>(byte));
    }
    return id;
}

std::string short_text(std::string const& text) {
    return printable(text.substr(0, longest_job_text));
}

/// The name under which a machine that is not configured is known.
std::string card_of(machine_identity const& who) {
    return who.macs.empty() ? who.serial : who.macs.front();
}

bool has_card(machine_identity const& who, std::string const& card) {
    return who.serial == card || std::ranges::find(who.macs, card) != who.macs.end();
}

/// The name of the job that [boot] gives a machine: no configured machine can have it.
std::string boot_name(machine_identity const& who) {
    return boot_prefix + card_of(who);
}

bool is_boot_name(std::string const& name) {
    return name.starts_with(boot_prefix);
}

} // namespace

void machine_orders::configure(std::vector<machine_settings> machines, machine_order boot) {
    m_machines = std::move(machines);
    m_boot = std::move(boot);
    m_by_card.clear();
    m_by_name.clear();
    for (std::size_t i = 0; i < m_machines.size(); ++i) {
        auto const& machine = m_machines[i];
        m_by_card[machine.mac.empty() ? machine.serial : machine.mac] = i;
        m_by_name[machine.name] = i;
        if (!m_jobs.contains(machine.name)) {
            new_job(machine.name);
        }
    }
    if (m_jobs.size() > most_machine_jobs) { // far more than are configured
        std::erase_if(m_jobs, [this](auto const& each) { return !m_by_name.contains(each.first); });
        std::erase_if(m_by_id, [this](auto const& each) { return !m_by_name.contains(each.second); });
    }
    std::erase_if(m_seen, [this](auto const& each) { return !m_jobs.contains(each.first); });
}

machine_job& machine_orders::new_job(std::string const& name) {
    ++m_changes;
    auto& job = m_jobs[name];
    m_by_id.erase(job.id);
    job = machine_job{new_job_id()};
    m_by_id[job.id] = name;
    return job;
}

void machine_orders::enter(machine_job& job, job_state state, present_time now) {
    job.state = state;
    if (state == job_state::running) {
        job.started = now.wall;
        job.began = now.steady;
    } else {
        job.ended = now.wall;
        job.taken = job.began ? std::optional(std::chrono::floor<std::chrono::milliseconds>(now.steady - *job.began))
                              : std::nullopt;
    }
    ++m_changes;
}

std::optional<machine_settings> machine_orders::find(machine_identity const& who, std::string& why) const {
    std::set<std::size_t> found;
    auto const look = [&](std::string const& card) {
        if (auto const at = m_by_card.find(card); !card.empty() && at != m_by_card.end()) {
            found.insert(at->second);
        }
    };
    look(who.serial);
    std::ranges::for_each(who.macs, look);
    if (found.size() > 1) {
        why = "it is both " + m_machines[*found.begin()].name + " and " + m_machines[*found.rbegin()].name;
        return std::nullopt;
    }
    if (!found.empty()) {
        return m_machines[*found.begin()];
    }
    if (m_boot.image.empty()) {
        why = "no [[machine]] has its MAC address or serial number";
        return std::nullopt;
    }
    auto const boots = std::distance(m_jobs.lower_bound(boot_prefix), m_jobs.lower_bound(behind_boot_names));
    if (!m_jobs.contains(boot_name(who)) && static_cast<std::size_t>(boots) >= most_unknown) {
        why = fmt::format("{} machines without a [[machine]] have received the image of [boot]", most_unknown);
        return std::nullopt;
    }
    machine_settings machine;
    machine.name = boot_name(who);
    machine.order = m_boot;
    return machine;
}

void machine_orders::remember_unknown(machine_identity const& who, wall_time now) {
    m_unknown[card_of(who)] = {who, now};
    if (m_unknown.size() > most_unknown) {
        m_unknown.erase(std::ranges::min_element(m_unknown, {}, [](auto const& each) { return each.second.at; }));
    }
}

job_answer machine_orders::ask(machine_identity const& who,
                               std::function<std::optional<std::string>(std::string const&)> const& why_unavailable,
                               present_time now) {
    job_answer answer;
    auto const machine = find(who, answer.reason);
    if (!machine) {
        remember_unknown(who, now.wall);
        return answer;
    }
    m_unknown.erase(card_of(who));
    answer.machine = machine->name;
    auto const known = m_jobs.find(machine->name);
    auto& job = known != m_jobs.end() ? known->second : new_job(machine->name);
    m_seen[machine->name] = {who, now.wall};
    if (is_final(job.state)) {
        answer.ask_again = ask_again_later;
        answer.reason =
            std::string("its job is ") + to_string(job.state) + "; \"seedbed machine redo\" orders it again";
        return answer;
    }
    if (job.state == job_state::running && !has_card(who, job.card)) {
        answer.ask_again = ask_again_later;
        answer.reason = "its job runs on another machine, " + job.card;
        return answer;
    }
    if (auto why = why_unavailable(job.state == job_state::running ? job.order.image : machine->order.image)) {
        answer.ask_again = ask_again_soon;
        answer.job_waits = true;
        answer.reason = std::move(*why);
        return answer;
    }
    if (job.state == job_state::waiting) {
        job.order = machine->order;
        job.card = card_of(who);
        enter(job, job_state::running, now);
    } else {
        job.continued = true;
    }
    answer.job = &job;
    return answer;
}

result<void> machine_orders::report(job_report const& said, std::string const& address, present_time now) {
    auto const found = m_by_id.find(said.id);
    if (found == m_by_id.end()) {
        return tl::unexpected(error{"no such job"});
    }
    auto const& name = found->second;
    auto& job = m_jobs.at(name);
    auto& seen = m_seen[name];
    seen.who.address = address;
    seen.at = now.wall;
    if (job.state != said.state && !may_become(job.state, said.state)) {
        return tl::unexpected(error{std::string("the job is ") + to_string(job.state) + ", not running"});
    }
    if (is_final(job.state)) {
        return {}; // the same end again: the answer to the first report was lost
    }
    job.phase = short_text(said.phase);
    job.percent = std::clamp(said.percent, -1, 100);
    job.device = said.device.empty() ? job.device : short_text(said.device);
    job.disk_class = said.disk_class ? said.disk_class : job.disk_class;
    job.reason = short_text(said.reason);
    if (job.state != said.state) {
        enter(job, said.state, now);
        if (!job.taken && !job.continued) {
            job.taken = said.taken;
        }
    }
    return {};
}

result<std::vector<std::string>> machine_orders::redo(std::string const& name) {
    std::vector<std::string> names;
    for (auto const& [each, job] : m_jobs) {
        auto const exists = configured(each) != nullptr || is_boot_name(each);
        if (exists && is_final(job.state) && (name == "all" || name == each)) {
            names.push_back(each);
        }
    }
    if (names.empty() && name != "all") {
        auto const at = m_jobs.find(name);
        if (at == m_jobs.end() || (configured(name) == nullptr && !is_boot_name(name))) {
            return tl::unexpected(error{"no machine has the name \"" + printable(name) + "\""});
        }
        if (at->second.state == job_state::running) {
            return tl::unexpected(error{name + ": its job is running; a new one can be ordered when it has ended"});
        }
    }
    for (auto const& each : names) {
        new_job(each);
    }
    return names;
}

machine_settings const* machine_orders::configured(std::string const& name) const {
    auto const found = m_by_name.find(name);
    return found != m_by_name.end() ? &m_machines[found->second] : nullptr;
}

machine_job const* machine_orders::job_of(std::string const& name) const {
    auto const found = m_jobs.find(name);
    return found != m_jobs.end() ? &found->second : nullptr;
}

std::string machine_orders::machine_of(std::string const& id) const {
    auto const found = m_by_id.find(id);
    return found != m_by_id.end() ? found->second : std::string();
}

machine_row machine_orders::row_of(machine_settings const& machine) const {
    machine_row row{machine.name, machine.mac, machine.serial, machine.order.image, machine.order.disk};
    if (auto const* const job = job_of(machine.name)) {
        row.job = *job;
        if (job->state != job_state::waiting) {
            row.image = job->order.image;
            row.disk = job->order.disk;
        }
    }
    if (auto const at = m_seen.find(machine.name); at != m_seen.end()) {
        row.address = at->second.who.address;
        row.disks = at->second.who.disks;
        row.seen = at->second.at;
    }
    return row;
}

std::vector<machine_row> machine_orders::rows() const {
    std::vector<machine_row> rows;
    std::ranges::transform(m_machines, std::back_inserter(rows), [this](auto const& each) { return row_of(each); });
    for (auto const& [name, job] : m_jobs) {
        if (is_boot_name(name)) {
            machine_settings machine;
            machine.name = name;
            rows.push_back(row_of(machine));
        }
    }
    for (auto const& [card, seen] : m_unknown) {
        machine_row row;
        row.mac = seen.who.macs.empty() ? "" : seen.who.macs.front();
        row.serial = seen.who.serial;
        row.address = seen.who.address;
        row.disks = seen.who.disks;
        row.seen = seen.at;
        rows.push_back(std::move(row));
    }
    return rows;
}

void machine_orders::restore(machine_jobs jobs) {
    m_jobs = std::move(jobs);
    m_by_id.clear();
    for (auto const& [name, job] : m_jobs) {
        m_by_id[job.id] = name;
    }
    configure(m_machines, m_boot);
}

} // namespace seedbed
